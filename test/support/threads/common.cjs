/** A module of tasks of the old kind. */
module.exports = { triple: (n) => n * 3 }
