// What a search shows first: chapters, then the course's other pages, then the package's functions.
// A name of the package that is typed in full, such as fid_from_moments, comes before all.
var Scorer = {
  score: ([page, title, , , score]) => {
    const asked = (new URLSearchParams(location.search).get("q") ?? "").trim();
    if (/[_.]/.test(asked) && title.split(".").pop() === asked.split(".").pop()) return score + 3000;
    if (/^notebooks\/\d\d_/.test(page)) return score + 2000;
    return /^book\/api\//.test(page) ? score : score + 1000;
  },
  // Sphinx's own numbers.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
