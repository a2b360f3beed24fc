/** The doors: what can be imported, that nothing else can, and that each name explains itself. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packed } from '../support/packed.ts'
import { publicNames } from '../support/public-api.ts'
import { readText, sources } from '../support/repository.ts'

const manifest = JSON.parse(readText('package.json')) as {
  exports: Record<string, { types: string; default: string } | string>
}

/** Name of the door as users write it, and the source behind it. */
const doors = Object.entries(manifest.exports).flatMap(([door, target]) =>
  typeof target === 'string'
    ? []
    : [
        {
          name: door.replace('.', 'holdfast'),
          source: target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts'),
        },
      ],
)

describe('exports', () => {
  it('lead to the build alone, types first', () => {
    for (const [door, target] of Object.entries(manifest.exports)) {
      if (door === './package.json') continue
      expect(Object.keys(target), door).toEqual(['types', 'default'])
      expect(Object.values(target).join(' '), door).toMatch(
        /^\.\/dist\/\S+\.d\.ts \.\/dist\/\S+\.js$/,
      )
    }
  })

  it('are closed: no file inside the package can be imported', () => {
    const require = createRequire(join(packed().consumer, 'index.js'))
    const inside = [...sources().keys()].flatMap((source) => [
      source,
      source.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js'),
      source.replace(/^src\//, '').replace(/\.ts$/, ''),
    ])

    const open = inside.filter((path) => {
      // A door and the file behind it may share a name, as `holdfast/testing` does with a folder.
      if (doors.some((door) => door.name === `holdfast/${path}`)) return false
      try {
        require.resolve(`holdfast/${path}`)
        return true
      } catch (error) {
        return (error as NodeJS.ErrnoException).code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED'
      }
    })
    expect(open).toEqual([])
  })

  it.each(doors)('offer only documented names: $name', ({ source }) => {
    const bare = publicNames(sources(), source).filter((one) => !one.documented)

    expect(bare.map((one) => `${one.name} has no docstring (${one.where})`)).toEqual([])
  })

  // A change of the public surface is a decision: it shows in this file, in review. After an
  // intended change run `npx vitest run test/package/exports.test.ts -u` and read the difference.
  it('offer exactly the names listed in public-api.txt', async () => {
    const lines = doors.flatMap(({ name, source }) => [
      name,
      ...publicNames(sources(), source).map((one) => `  ${one.kinds.join(' and ')} ${one.name}`),
      '',
    ])

    await expect(lines.join('\n')).toMatchFileSnapshot('public-api.txt')
  })
})
