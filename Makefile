# Everything here runs from a fresh clone with Python 3.11 or newer, make and git.
# Each target calls a Python script that also works on its own; README.md says how, for Windows.

PY := .venv/bin/python
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help setup book test serve outputs data lint clean

help: ## say what there is (this list)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: # make .venv with the pinned packages, unless it is there and up to date
	@PYTHON="$(PYTHON)" sh book/tools/setup.sh

book: setup ## build the site from the committed outputs into _build/html
	@$(PY) book/tools/build.py

test: setup ## run every check: lint, types, tests, notebooks
	@$(PY) book/tools/check.py

lint: setup ## run the quick checks only: lint, format, types
	@$(PY) book/tools/check.py lint format types

serve: setup ## serve the built site at http://localhost:8000 (PORT=… for another port)
	@test -f _build/html/index.html || $(PY) book/tools/build.py
	@echo "Serving _build/html at http://localhost:$(PORT)/  (Ctrl+C stops)"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

outputs: setup ## execute again the chapters whose code changed, and store their outputs
	@$(PY) book/tools/outputs.py

data: setup ## fetch the full MNIST and Fashion-MNIST sets, 70,000 pictures each
	@$(PY) -m gancourse.datasets.digits
	@$(PY) -m gancourse.datasets.fashion || echo "Fashion-MNIST could not be fetched: its mini set is used. MNIST is complete."

clean: ## remove the built site (the set-up in .venv stays)
	@rm -rf _build
