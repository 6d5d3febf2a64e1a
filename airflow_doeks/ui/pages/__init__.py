"""Records in, pages out: pure functions, one module a page."""
