import { describe, expect, it } from 'vitest'
import { virtualClock } from '../../testing/index.ts'
import { Voice } from './voice.ts'

function told(): { voice: Voice; changes: string[] } {
  const voice = new Voice('later', virtualClock())
  const changes: string[] = []
  voice.emitter.subscribe((event) => {
    if (event.type === 'queue-store') changes.push(event.change)
  })
  return { voice, changes }
}

describe('what a queue says of its store', () => {
  it('is told once for many failures, and once when it works', () => {
    const { voice, changes } = told()

    for (let i = 0; i < 3; i++) voice.storeFailed(voice.step(), new Error('down'))
    voice.step()
    voice.storeWorks()
    voice.storeWorks()
    voice.storeFailed(voice.step(), new Error('down again'))

    expect(changes).toEqual(['failed', 'recovered', 'failed'])
  })

  it('does not fail again for a step that began before the store was back', () => {
    const { voice, changes } = told()
    const [slow, quick] = [voice.step(), voice.step()]

    voice.storeFailed(quick, new Error('down'))
    voice.step()
    voice.storeWorks()
    voice.storeFailed(slow, new Error('no answer in time'))

    expect(changes).toEqual(['failed', 'recovered'])
  })
})
