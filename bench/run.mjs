/** `npm run bench`: Holdfast beside its peers, measured in one process per table. */
import { cpus } from 'node:os'
import { command, usage } from './harness/command.js'
import { installPeers, pickNode, requireBuild } from './harness/install.js'
import { play } from './harness/play.js'
import { keep, writeReadme } from './harness/results.js'
import { plainTable } from './harness/tables.js'
import { verdictLines, verdicts } from './harness/verdicts.js'

/** @param {string[]} args */
async function main(args) {
  const { suites, all, plan, json, write, keep: kept, help, node: wanted } = command(args)
  if (help) return console.log(usage)
  const say = json ? () => {} : console.log
  requireBuild()
  installPeers()
  const node = pickNode(wanted)
  const cpu = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`
  say(`Node.js ${node.version} on ${cpu}; CPU time per call${plan.quick ? '; a quick run' : ''}\n`)

  const tables = suites.map(() => /** @type {import('./harness/play.js').Played[]} */ ([]))
  const waiting = [...suites.entries()]
  const next = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const [place, suite] = one
      for await (const rows of play(suite, node, plan)) {
        tables[place].push(...rows)
        say(plainTable(rows))
      }
    }
  }
  // What is measured has the machine for itself; where figures mean little, time means more.
  await Promise.all(plan.quick ? [next(), next()] : [next()])

  const played = tables.flat()
  const bars = verdicts(played)
  const report = {
    node: node.version,
    cpu,
    date: new Date().toISOString(),
    ...(plan.quick ? { quick: true } : {}),
    rows: played.map(({ cpu: _cpu, wall: _wall, ...row }) => row),
    bars,
  }
  if (json) console.log(JSON.stringify(report, null, 2))
  else
    say(`Bars${plan.quick ? ' (a quick run says little about them)' : ''}\n${verdictLines(bars)}`)
  if (!kept) return
  const whole = keep(report, all)
  if (write) writeReadme(whole)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const { message } = /** @type {Error} */ (error)
  console.error(error instanceof TypeError ? `${message}\n\n${usage}` : error)
  process.exitCode = 1
}
