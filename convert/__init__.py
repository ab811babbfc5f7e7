"""Conversion: streaming export, calibration, quantization, inspection, and parity of the result with the float one."""
