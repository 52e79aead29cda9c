"""docs/questions.md: questions with their SQL; the answers and plots in it are written from real event feeds."""
