"""What is particular to a device. So far: how a model gets onto a Raspberry Pi by hand (raspberrypi/README.md)."""
