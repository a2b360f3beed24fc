/**
 * The door of `holdfast/testing`: time, chance and dependencies in the hand of a test.
 * Public, so that users prove their own code with what the library is proven with.
 */

export {
  type Scripted,
  type ScriptedOptions,
  type ScriptStep,
  scripted,
} from './scripted.ts'
export { type SeededRandom, seededRandom } from './seeded-random.ts'
export {
  type VirtualClock,
  type VirtualClockOptions,
  type VirtualTimer,
  virtualClock,
} from './virtual-clock.ts'
