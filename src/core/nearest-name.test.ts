import { describe, expect, it } from 'vitest'
import { nearestName } from './nearest-name.ts'

const retry = [
  'maxRetries',
  'baseDelay',
  'maxDelay',
  'maxElapsed',
  'factor',
  'jitter',
  'shouldRetry',
]
const breaker = ['failureThreshold', 'failureRate', 'resetTimeout', 'halfOpenCalls', 'minimumCalls']

describe('nearestName', () => {
  it.each([
    ['one letter missing', 'maxRetrie', 'maxRetries'],
    ['one letter too many', 'jitterr', 'jitter'],
    ['one letter wrong', 'fbctor', 'factor'],
    ['two neighbours swapped', 'jittre', 'jitter'],
    ['another case', 'MAXRETRIES', 'maxRetries'],
    ['underscores', 'max_retries', 'maxRetries'],
    ['hyphens', 'max-elapsed', 'maxElapsed'],
    ['the nearer of two', 'maxDelays', 'maxDelay'],
  ])('finds the name in spite of %s', (_, wrong, right) => {
    expect(nearestName(wrong, retry)).toBe(right)
  })

  it.each([
    ['maxAttempts', retry, 'maxRetries'],
    ['retries', retry, 'maxRetries'],
    ['minTimeout', retry, 'baseDelay'],
    ['maxTimeout', retry, 'maxDelay'],
    ['errorThresholdPercentage', breaker, 'failureRate'],
    ['fail_max', breaker, 'failureThreshold'],
    ['halfOpenAfter', breaker, 'resetTimeout'],
    ['volumeThreshold', breaker, 'minimumCalls'],
    ['threshold', ['failureRate'], 'failureRate'],
    ['capacity', ['maxConcurrent', 'maxQueue'], 'maxConcurrent'],
    ['max', ['minSize', 'maxSize'], 'maxSize'],
    ['acquireTimeoutMillis', ['acquireTimeout'], 'acquireTimeout'],
    ['ttl', ['staleFor', 'freshFor'], 'freshFor'],
    ['retries', ['retry', 'timeout'], 'retry'],
  ])('knows that %s is what another library calls it', (wrong, known, right) => {
    expect(nearestName(wrong, known)).toBe(right)
  })

  it('gives an alias only to those who have the option', () => {
    expect(nearestName('maxAttempts', breaker)).toBeUndefined()
  })

  it.each([
    ['colour', retry],
    ['', retry],
    ['x', ['yz']],
    ['ms', ['name']],
    ['jitter', []],
    ['j'.repeat(100_000), retry],
    ['__proto__', retry],
  ])('finds nothing near %s', (wrong, known) => {
    expect(nearestName(wrong.slice(0, 20), known)).toBeUndefined()
    expect(nearestName(wrong, known)).toBeUndefined()
  })

  it('allows more edits in a longer name, a third of its letters', () => {
    const known = ['abcdefghi']

    expect(nearestName('abcdefxyz', known)).toBe('abcdefghi')
    expect(nearestName('abcdewxyz', known)).toBeUndefined()
    expect(nearestName('ab', ['ac'])).toBe('ac')
    expect(nearestName('nmae', ['name'])).toBe('name')
    expect(nearestName('neam', ['name'])).toBeUndefined()
  })
})
