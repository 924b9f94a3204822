"""The exercise sets, one module each. This index loads no torch, so that the sets are listed at once."""

from __future__ import annotations

from gancourse.errors import unknown

#: Set word (also the module's name) → chapter (also the notebook's name) and title.
INDEX: dict[str, tuple[str, str]] = {
    "game": ("01_two_players", "Two players, one game"),
    "first_gan": ("02_first_gan", "The first GAN on digits"),
    "optimum": ("03_what_the_game_optimises", "What the game optimises"),
    "failure": ("04_why_training_fails", "Why training fails"),
    "measure": ("05_measuring", "Measuring a GAN"),
    "cgan": ("06_cgan", "Conditional GANs"),
    "lsgan": ("07_lsgan", "Least squares"),
    "wgan": ("08_wgan", "Wasserstein GAN"),
    "wgan_gp": ("09_wgan_gp", "Penalties on the slope"),
    "sngan": ("10_sngan", "Spectral normalisation"),
    "dcgan": ("11_dcgan", "Convolutions: DCGAN"),
}


def word(given: str) -> str:
    """Return the word of a set that is given by its word, its chapter's number (``06`` or ``6``) or its notebook.

    Raises:
        UserError: there is no such set; the text suggests the nearest.
    """
    for known, (chapter, _) in INDEX.items():
        if given in (known, chapter, chapter[:2], chapter[:2].lstrip("0")):
            return known
    raise unknown("exercise set", given, INDEX)
