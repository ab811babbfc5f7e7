"""What is particular to a device: how the kit and a model get onto it, and how they run there."""
