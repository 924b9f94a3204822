"""The data of the course: distributions in the plane (`toy`) and handwritten digits (`digits`)."""
