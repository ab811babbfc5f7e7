export { InputError } from "./errors.js";
export { LiteRtEngine } from "./litert.js";
export { Phrases } from "./phrases.js";
export { Listener, Recognizer } from "./recognizer.js";
export { Specification, readSpecification } from "./specification.js";
