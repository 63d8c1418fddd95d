"""Reports of a run: progress lines, CSV files, the summary and the page."""
