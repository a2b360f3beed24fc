/**
 * Guesses which name was meant by one that does not exist.
 * First by what other libraries call the same thing, then by the fewest edits
 * (the restricted Damerau-Levenshtein distance: insert, delete, replace, swap neighbours).
 */

/** The known name that was probably meant, or undefined when none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = simplified(name)
  const alias = aliases.get(wanted)?.find((candidate) => known.includes(candidate))
  if (alias !== undefined) return alias

  let nearest: string | undefined
  let fewest = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const edits = editDistance(wanted, simplified(candidate), fewest)
    if (edits < fewest) {
      fewest = edits
      nearest = candidate
    }
  }
  return nearest
}

/** What peers (cockatiel, opossum, p-retry, resilience4j, tenacity, generic-pool, tarn ...) call our options. */
const aliases: ReadonlyMap<string, readonly string[]> = new Map([
  ['attempts', ['maxRetries']],
  ['backofffactor', ['factor']],
  ['bulkheadmaxwait', ['maxWait']],
  ['capacity', ['maxConcurrent']],
  ['concurrency', ['maxConcurrent']],
  ['consecutivefailures', ['failureThreshold']],
  ['delay', ['baseDelay']],
  ['duration', ['maxElapsed', 'resetTimeout']],
  ['errorthresholdpercentage', ['failureRate']],
  ['failmax', ['failureThreshold']],
  ['failureratethreshold', ['failureRate']],
  ['halfopenafter', ['resetTimeout']],
  ['halfopenmaxcalls', ['halfOpenCalls']],
  ['initialdelay', ['baseDelay']],
  ['limit', ['maxConcurrent', 'concurrency', 'maxSize']],
  ['max', ['maxSize', 'limit']],
  ['maxattempts', ['maxRetries']],
  ['maxbackoff', ['maxDelay']],
  ['maxduration', ['maxElapsed']],
  ['maxqueued', ['maxQueue']],
  ['maxretrytime', ['maxElapsed']],
  ['maxtimeout', ['maxDelay']],
  ['min', ['minSize']],
  ['mincalls', ['minimumCalls']],
  ['minimumthroughput', ['minimumCalls']],
  ['mintimeout', ['baseDelay']],
  ['ms', ['duration']],
  ['multiplier', ['factor']],
  ['openduration', ['resetTimeout']],
  ['queue', ['maxQueue']],
  ['queuelimit', ['maxQueue']],
  ['recoverytimeout', ['resetTimeout']],
  ['resetafter', ['resetTimeout']],
  ['retries', ['maxRetries', 'retry']],
  ['retryif', ['shouldRetry']],
  ['threshold', ['failureThreshold', 'failureRate']],
  ['timeout', ['duration', 'resetTimeout', 'maxElapsed']],
  ['ttl', ['freshFor', 'staleFor']],
  ['volumethreshold', ['minimumCalls']],
  ['waitdurationinopenstate', ['resetTimeout']],
])

/** Case, underscores, hyphens and a unit are the commonest differences and say nothing. */
function simplified(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]|millis$/g, '')
}

/** Edits from one word to the other; `limit` when they are that many or more. */
function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const cost = from[row - 1] === to[column - 1] ? 0 : 1
      let edits = Math.min(
        (last[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (last[column - 1] as number) + cost,
      )
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (row > 1 && column > 1 && swapped) {
        edits = Math.min(edits, (beforeLast[column - 2] as number) + 1)
      }
      current.push(edits)
    }
    beforeLast = last
    last = current
  }
  return Math.min(limit, last[to.length] as number)
}
