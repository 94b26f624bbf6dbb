import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const EXAMPLE = join(import.meta.dirname, '../../examples/workers')

function start(
  cwd: string,
  script: string,
  ...args: string[]
): { child: ChildProcess; end: Promise<unknown>; text(): string } {
  // Lists are written to the test's folder.
  const env = { ...process.env, TMPDIR: cwd }
  const child = spawn(process.execPath, [join(EXAMPLE, script), ...args], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (text += chunk))
  return { child, end: once(child, 'close').then(([code, signal]) => code ?? signal), text: () => text }
}

it('two workers hash a folder although one is killed, and sha256sum -c accepts the list', {
  timeout: 120_000,
}, async t => {
  const cwd = mkdtempSync(join(tmpdir(), 'ptq-workers-'))
  const data = join(cwd, 'data')
  const names = Array.from({ length: 2_000 }, (_, n) => `${n % 20}/file ${n}`)
  for (let n = 0; n < 20; n++) mkdirSync(join(data, String(n)), { recursive: true })
  for (const name of names) writeFileSync(join(data, name), name)

  const main = start(cwd, 'main.js', 'data', './queue')
  while (!main.text().includes('start workers')) await sleep(10)
  const victim = start(cwd, 'worker.js', './queue')
  const listsOf = () => readdirSync(cwd).filter(name => name.startsWith('ptq-lists-'))
  const hasList = (pid: number | undefined) =>
    listsOf().some(lists => readdirSync(join(cwd, lists)).some(name => name.endsWith(`-${pid}.sha256`)))
  while (!hasList(victim.child.pid)) await sleep(2)
  victim.child.kill('SIGKILL')
  assert.equal(await victim.end, 'SIGKILL')
  const worker = start(cwd, 'worker.js', './queue')
  assert.equal(await main.end, 0, main.text())
  assert.match(main.text(), /\n2000 of 2000 files are in checksums\.sha256; sha256sum -c checks them\.\n$/)
  worker.child.kill('SIGINT')
  assert.equal(await worker.end, 130)
  assert.match(worker.text(), /^Working on fq:\/\/.*\nExecuted: \d+\n$/)
  assert.deepEqual(listsOf(), [])

  const list = readFileSync(join(cwd, 'checksums.sha256'), 'utf8').trimEnd().split('\n')
  const expected = names.map(name => `${createHash('sha256').update(name).digest('hex')}  ./data/${name}`)
  assert.deepEqual(list, expected.sort())
  const check = spawnSync('sha256sum', ['--strict', '--quiet', '-c', 'checksums.sha256'], { cwd, encoding: 'utf8' })
  if (check.error === undefined) assert.equal(check.status, 0, check.stdout + check.stderr)
  else t.diagnostic('no sha256sum here: the list was checked by node:crypto only')
  assert.ok(existsSync(join(cwd, 'queue')))
  rmSync(cwd, { recursive: true })
})
