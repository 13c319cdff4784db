"""One file a judge protocol, with its versioned templates."""
