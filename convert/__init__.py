"""Conversion: streaming export, calibration, quantization, inspection, and parity of the result with the float one."""

INT8_MODES = ("int8", "armv7")  # int8 throughout; armv7 is for 32-bit Arm: see quantizer.py
CALIBRATED = (
    *INT8_MODES,
    "int16x8",
)  # need speech to choose ranges by; int16x8 is a diagnostic: exact, but slow
MODES = (*CALIBRATED, "dynamic", "float16", "float32")
