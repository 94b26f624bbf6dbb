// A release that must not be published is refused before anything is published.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'

const root = join(import.meta.dirname, '../..')

function check(manifest: object, changelog: string) {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-release-'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'CHANGELOG.md'), changelog)
  const { status, stderr } = spawnSync(process.execPath, [join(root, '.ci/check-release.mjs')], {
    cwd: folder,
    encoding: 'utf8',
  })
  rmSync(folder, { recursive: true })
  return { status, stderr }
}

const released = '# Changelog\n\n## 1.2.3 (2026-01-31)\n\n- new\n\n## 1.2.2 (2026-01-01)\n'
const manifest = { version: '1.2.3', repository: 'github:example/ptq' }

it('a dated entry for the version passes', () => {
  assert.deepEqual(check(manifest, released), { status: 0, stderr: '' })
})

it('a pending entry, an entry for another version, no entry and no repository are refused', () => {
  const pending = check(manifest, released.replace('2026-01-31', 'pending'))
  assert.equal(pending.status, 1)
  assert.equal(pending.stderr, 'Expected a date beside 1.2.3 in CHANGELOG.md, got "(pending)"\n')
  const other = check({ ...manifest, version: '1.3.0' }, released)
  assert.equal(other.status, 1)
  assert.match(other.stderr, /of version 1\.3\.0, got 1\.2\.3\n$/)
  assert.match(check(manifest, '# Changelog\n').stderr, /got none\n/)
  const homeless = check({ version: '1.2.3' }, released)
  assert.equal(homeless.status, 1)
  assert.match(homeless.stderr, /^Expected `repository`/)
})

it('npm runs the check before it publishes', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.match(scripts.prepublishOnly ?? '', /^node \.ci\/check-release\.mjs\b/)
})
