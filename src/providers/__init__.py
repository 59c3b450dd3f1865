"""One adapter a vendor, all behind one protocol (``base``), found as plugins (``registry``)."""
