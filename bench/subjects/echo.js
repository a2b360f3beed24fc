/** A task that does nothing, for the benchmark of threads. */
export default (/** @type {unknown} */ task) => task
