"""One file per protocol of a plant; the only importers of protocol libraries."""
