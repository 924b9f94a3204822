"""The data of the course: distributions in the plane (`toy`), handwritten digits (`digits`), clothes (`fashion`)."""
