#!/usr/bin/env node
/**
 * The shop: two front ends before the same failing services, one bare, one protected by Holdfast.
 * This file is the command line and the way out; the show itself is play.js.
 */

import { setMaxListeners } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { painter } from './report/format.js'
import { buildReport } from './report/report.js'
import { renderReport } from './report/summary.js'
import { chooseView } from './report/view.js'
import { play } from './show/play.js'
import { Processes } from './show/processes.js'

const usage = `Usage: npm start -- [options]

Two shops before the same services, which fail one after another for a minute:
one shop calls them bare, the other through Holdfast.

  --fast      tell the story in 15 seconds
  --json      print the report as JSON, and nothing else, on standard output;
              its "ok" says whether all promises were kept (the exit code does not)
  --seed N    another day: other customers, other luck (default 1)
  --help      this text

Ends with 0 when the story was told, 1 when it broke off, 2 for wrong options;
Ctrl-C ends it at any moment.
`

const options = readOptions()
if (options.help) {
  process.stdout.write(usage)
  process.exit(0)
}
if (!existsSync(fileURLToPath(import.meta.resolve('holdfast')))) {
  process.stderr.write('The library is not built yet: npm run build\n')
  process.exit(1)
}

const pace = options.fast ? 0.25 : 1
const curtain = new AbortController()
// Every customer under way listens for the end.
setMaxListeners(0, curtain.signal)
const processes = new Processes((error) => curtain.abort(error))

// In --json, standard output belongs to the report.
const screen = options.json ? process.stderr : process.stdout
const colourful = screen.isTTY === true && !process.env['NO_COLOR']
const view = chooseView({ screen, paint: painter(colourful), quiet: options.json, pace })

/** @type {NodeJS.Signals | undefined} */
let signal
for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(name, () => {
    // Asked twice: do not even wait for the others to leave by themselves.
    if (signal) processes.kill()
    signal ??= name
    curtain.abort(new Error('stopped'))
  })
}
// Who reads us may leave, as in `npm start | head`: then nobody wants to know the rest.
let listened = true
process.stdout.on('error', () => {
  listened = false
  curtain.abort(new Error('nobody listens'))
})

try {
  const whole = play({ processes, seed: options.seed, pace, signal: curtain.signal, show: view })
  const played = await Promise.race([whole, aborted(curtain.signal)])
  const left = await processes.stop()
  view.close()
  const report = buildReport(played, { seed: options.seed, pace, left })
  process.stdout.write(
    options.json
      ? `${JSON.stringify(report, null, 2)}\n`
      : renderReport(report, painter(colourful)),
  )
} catch (error) {
  curtain.abort(error)
  view.close()
  await processes.stop()
  if (signal) leaveBy(signal)
  if (listened) {
    const why = error instanceof Error ? error.message : String(error)
    process.stderr.write(`The show had to stop: ${why}\n`)
    process.exitCode = 1
  }
}

/** Reads the command line; tells what is wrong with it and leaves if it is wrong. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        fast: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const seed = Number(values.seed)
    if (values.seed.trim() === '' || !Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(`--seed is a whole number from 0, not "${values.seed}"`)
    }
    return { ...values, seed }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`)
    process.exit(2)
  }
}

/**
 * @param {AbortSignal} ending
 * @returns {Promise<never>}
 */
function aborted(ending) {
  return new Promise((_resolve, reject) => {
    ending.addEventListener('abort', () => reject(ending.reason))
  })
}

/**
 * Ends as the signal would have ended it, so that whoever started this process can see why.
 *
 * @param {NodeJS.Signals} name
 */
function leaveBy(name) {
  process.removeAllListeners(name)
  process.kill(process.pid, name)
}
