"""The helper package of the GAN course: small, fast, and readable beside the papers.

Importing it loads nothing heavy; import the module you need, for example ``from gancourse import losses``.
"""

__version__ = "0.2.0"
