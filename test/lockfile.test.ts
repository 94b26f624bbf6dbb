// `npm ci` is the first thing that a contributor sees: on the oldest Node that is supported too, it has nothing to warn of.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

interface LockedPackage {
  readonly engines?: { readonly node?: string }
  readonly hasInstallScript?: boolean
  readonly resolved?: string
}

const root = join(import.meta.dirname, '../..')
const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'))
const { packages }: { packages: Record<string, LockedPackage> } = read('package-lock.json')

/** The versions of Node that a package allows: alternatives such as `>=18`, `^20.19.0` or `20 || >=22`. */
function allows(range: string, [major, minor]: readonly [number, number]): boolean {
  return range.split('||').some(alternative => {
    const [, sign = '', majorText = '', minorText = '0'] =
      /^\s*(>=|\^|)\s*v?(\d+)(?:\.(\d+|x))?/.exec(alternative) ?? []
    const least = [Number(majorText), minorText === 'x' ? 0 : Number(minorText)] as const
    const isNewEnough = major > least[0] || (major === least[0] && minor >= least[1])
    return alternative.trim() === '*' || (isNewEnough && (sign === '>=' || major === least[0]))
  })
}

test('each locked package runs on the oldest supported Node', () => {
  const [, major, minor] = /^>=(\d+)\.(\d+)/.exec(read('package.json').engines.node) ?? []
  const oldest = [Number(major), Number(minor)] as const
  assert.deepEqual([allows('>=22', oldest), allows('^20.19.0 || >=22.12.0', oldest)], [false, true])
  for (const [path, { engines }] of Object.entries(packages)) {
    const range = engines?.node
    if (range !== undefined) assert.ok(allows(range, oldest), `${path} needs Node ${range}`)
  }
})

test("each locked package with an install script is approved, and none contains its registry's address", () => {
  const approved = Object.keys(read('package.json').allowScripts)
  for (const [path, { hasInstallScript, resolved }] of Object.entries(packages)) {
    if (hasInstallScript && path !== '') assert.ok(approved.includes(path.replace(/^.*node_modules\//, '')), path)
    assert.equal(resolved, undefined, path)
  }
})

test('the package has no script that npm would run, or warn of, when it is installed from a folder or an archive', () => {
  const scripts = Object.keys(read('package.json').scripts)
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) assert.ok(!scripts.includes(name), name)
})
