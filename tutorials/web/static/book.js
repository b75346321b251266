// The words around a result are fetched, which browsers forbid for pages opened as files
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
