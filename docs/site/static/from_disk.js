// Excerpts of the pages that a search finds are fetched, which browsers refuse to a page from the disk.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
