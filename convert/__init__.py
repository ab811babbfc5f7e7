"""Conversion: streaming export, calibration, quantization, inspection and parity reports."""

# Integer throughout. Mode armv7 also runs in the interpreter of 32-bit Arm: see tflite.py.
INT8_MODES = ("int8", "armv7")
MODES = (*INT8_MODES, "dynamic", "float16", "float32")
