"""Being reachable: registrations at presence points, visibility, status."""
