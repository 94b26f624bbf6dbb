// Filesystems without entry types in folders: Node calls `lstat` for each entry, and throws if one is gone.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { Dirent, lstatSync, mkdirSync, opendirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FolderStream } from '#ptq/backends/fq/file-system.js'
import { openEntries, openEntriesSync } from '#ptq/backends/fq/folder-names.js'
import { inFolder } from './folder.js'
import { startProcess } from './orders.js'

const PROCESSES = 3
const TASKS = 2_000
const MIB = 2 ** 20

/** Runs `work` on an ext4 filesystem in a file. @returns the reason if none can be created */
async function onUntypedDisk(work: (mount: string) => Promise<void>): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux may mount'
  const folder = await mkdtemp(join(tmpdir(), 'ptq-untyped-'))
  const [image, mount] = [join(folder, 'image'), join(folder, 'mount')]
  mkdirSync(mount)
  writeFileSync(image, '')
  truncateSync(image, 64 * MIB)
  try {
    for (const [command, ...args] of [
      ['mkfs.ext4', '-q', '-O', '^filetype', '-N', '20000', image],
      ['mount', '-o', 'loop', image, mount],
    ] as const) {
      const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
      if (error !== undefined || status !== 0) return `${command}: ${error?.message ?? stderr.trim()}`
    }
    try {
      await work(mount)
    } finally {
      execFileSync('umount', [mount])
    }
    return undefined
  } finally {
    await rm(folder, { recursive: true })
  }
}

test(`${PROCESSES} processes insert and drain a queue on a disk without entry types, and each task is leased once`, async t => {
  const reason = await onUntypedDisk(async mount => {
    const root = join(mount, 'queue-of-test')
    const logs = await mkdtemp(join(tmpdir(), 'ptq-untyped-logs-'))
    const processes = await Promise.all(Array.from({ length: PROCESSES }, () => startProcess(root)))
    try {
      const done = await Promise.all(
        processes.map((each, index) =>
          each.ask({ verb: 'work', count: TASKS, batch: 50, log: join(logs, String(index)) }),
        ),
      )
      assert.equal(
        done.reduce((sum, count) => sum + count, 0),
        PROCESSES * TASKS,
      )
    } finally {
      await Promise.all(processes.map(each => each[Symbol.asyncDispose]()))
    }
    await rm(logs, { recursive: true })
  })
  if (reason !== undefined) t.skip(`NOT tested with a real disk: ${reason}`)
})

class AskedFor extends Dirent {}

/**
 * A folder with types for its first `typed` entries only, as Node's `Dir` reads it: `batch` entries at once, with
 * `lstat` for each untyped entry of the batch.
 *
 * @param beforeAsking called with a name, which may be removed there
 */
function untypedEntries(
  path: string,
  typed: number,
  batch: number,
  beforeAsking: (name: string) => void = () => undefined,
) {
  const folder = opendirSync(path)
  const buffered: Dirent[] = []
  let seen = 0
  const readSync = (): Dirent | null => {
    const kept = buffered.shift()
    if (kept !== undefined) return kept
    const entries: Dirent[] = []
    for (let entry = folder.readSync(); entry; entry = entries.length < batch ? folder.readSync() : null)
      entries.push(entry)
    for (const entry of entries) {
      if (++seen > typed) {
        beforeAsking(entry.name)
        lstatSync(join(path, entry.name))
        Object.setPrototypeOf(entry, AskedFor.prototype)
      }
      buffered.push(entry)
    }
    return buffered.shift() ?? null
  }
  return {
    readSync,
    read: (() => Promise.resolve().then(readSync)) as typeof folder.read,
    closeSync: () => folder.closeSync(),
    close: (() => folder.close()) as typeof folder.close,
  }
}

async function namesOf(stream: FolderStream): Promise<string[]> {
  const all: string[] = []
  for (let names = await stream.read(); names.length > 0; names = await stream.read()) all.push(...names)
  await stream.close()
  return all
}

for (const [how, open] of [
  [
    'blocking',
    (path: string, typed: number, batch: number, ask?: (name: string) => void) =>
      openEntriesSync(path, () => untypedEntries(path, typed, batch, ask)),
  ],
  [
    'pooled',
    (path: string, typed: number, batch: number, ask?: (name: string) => void) =>
      openEntries(path, async () => untypedEntries(path, typed, batch, ask)),
  ],
] as const) {
  const inFilled = (work: (path: string, names: string[]) => Promise<void>) =>
    inFolder(async path => {
      const names = Array.from({ length: 5_000 }, (_, index) => `name-${index}`)
      for (const name of names) writeFileSync(join(path, name), '')
      await work(path, names.sort())
    })

  test(`${how} reading: an entry that disappears before Node asks for its type ends nothing, and no other name is missed`, () =>
    inFilled(async path => {
      const stream = await open(path, 0, 1_000, name => rmSync(join(path, name)))
      assert.deepEqual((await namesOf(stream)).sort(), readdirSync(path).sort())
      assert.equal(readdirSync(path).length, 4_999)
    }))

  test(`${how} reading: each name is returned once when types are missing from the middle of a folder on`, () =>
    inFilled(async (path, names) => {
      assert.deepEqual((await namesOf(await open(path, 2_500, 100))).sort(), names)
    }))

  test(`${how} reading: a folder that is removed when types go missing has no more names`, () =>
    inFilled(async path => {
      const gone = join(path, 'gone')
      mkdirSync(gone)
      writeFileSync(join(gone, 'name'), '')
      const stream = await open(gone, 0, 100, () => rmSync(gone, { recursive: true }))
      assert.deepEqual(await namesOf(stream), [])
    }))
}
