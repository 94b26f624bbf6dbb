/**
 * Runs test files with Node's test runner and prints its last lines. Each file is a process: leftovers of a test can't
 * reach the next file.
 *
 * Without arguments, all but those named `*.slow.test.ts` and `*.soak.test.ts`; with `--slow`, the slow ones alone; with `--all`, all:
 * those of a soak, too, for which CI has no time. Other arguments are
 * parts of paths: the files that contain one of them run, slow or not.
 *
 * Without `--slow` and `--all` the folders of the tests are in memory where there is a disk with room (Linux): making and
 * removing their files costs a third. The slow tests run on the disk of the system.
 */
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'

/** A file that hangs fails after so long. Milliseconds. */
const timeoutMs = 300_000

let hasFailed = false

const memoryDisk = '/dev/shm'

/** What the tests need at once, several times over. */
const memoryBytes = 4 * 2 ** 30

const { values, positionals } = parseArgs({
  options: { slow: { type: 'boolean', default: false }, all: { type: 'boolean', default: false } },
  allowPositionals: true,
})

function isWanted(name: string): boolean {
  // The compiler leaves what it made of a file that was renamed or removed since.
  if (!existsSync(join(import.meta.dirname, '../../test', name.replace(/\.js$/, '.ts')))) return false
  if (positionals.length > 0) return positionals.some(part => name.includes(part))
  if (values.all) return true
  return !name.endsWith('.soak.test.js') && name.endsWith('.slow.test.js') === values.slow
}

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.test.js') && isWanted(name))
  .sort()
  .map(name => join(import.meta.dirname, name))

/** A new folder in memory for temporary files; `undefined` where there is no such disk, or too little room. */
function folderInMemory(): string | undefined {
  try {
    const { bavail, bsize } = statfsSync(memoryDisk)
    if (bavail * bsize < memoryBytes) return undefined
    const folder = mkdtempSync(join(memoryDisk, 'ptq-tests-'))
    // As /tmp: a server of the tests may run as another user.
    chmodSync(folder, 0o1777)
    return folder
  } catch {
    return undefined
  }
}

if (process.env.TMPDIR === undefined && !values.slow && !values.all) {
  const folder = folderInMemory()
  if (folder !== undefined) {
    process.env.TMPDIR = folder
    process.once('exit', () => {
      // A test that fails leaves its folder, for a look at it; those that pass, caches of tsx and TypeScript.
      if (hasFailed) console.log(`Folders of failed tests are in ${folder}`)
      else rmSync(folder, { recursive: true, force: true })
    })
    // Without a listener there is no event of the exit.
    process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))
  }
}

if (files.length === 0) {
  console.error(`Expected test files matching ${positionals.join(', ')}, found none in ${import.meta.dirname}`)
  process.exitCode = 1
} else {
  // Many wait for leases, servers and processes half of their time: twice as many as there are cores.
  run({ files, concurrency: 2 * availableParallelism(), timeout: timeoutMs })
    .on('test:fail', () => {
      hasFailed = true
      process.exitCode = 1
    })
    .compose(new spec())
    .pipe(process.stdout)
}
