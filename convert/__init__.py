"""Conversion: streaming export, calibration, quantization, inspection, and parity of the result with the float one."""

INT8_MODES = ("int8", "armv7")  # int8 throughout, by calibration; armv7 is for 32-bit Arm: see quantizer.py
MODES = (*INT8_MODES, "dynamic", "float16", "float32")
