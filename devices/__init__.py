"""Tools for devices: `ds2edge bench`, `ds2edge deploy` and the Raspberry Pi installer."""
