/**
 * Small filesystems in memory, for tests of full disks. Root mounts them; other users run their test file once more in a user
 * namespace, in which they may.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { errorCode } from '#ptq/backends/fq/file-system.js'

const namespaced = 'PTQ_TEST_IN_NAMESPACE'
const unshare = ['unshare', '--user', '--map-root-user', '--mount'] as const

const pageBytes = 4096

export class SmallDisk {
  /** A folder that is empty at first. */
  readonly path: string
  /** Names and files that only take room. */
  readonly #fillers: string[] = []

  private constructor(path: string) {
    this.path = path
  }

  /** Runs `work` on a filesystem of `kib` KiB. */
  static async use(work: (disk: SmallDisk) => Promise<void>, kib = 1024): Promise<void> {
    const path = mkdtempSync(join(tmpdir(), 'ptq-small-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k,nr_inodes=1000`, 'tmpfs', path])
    try {
      await work(new SmallDisk(path))
    } finally {
      execFileSync('umount', ['--lazy', path])
      rmdirSync(path)
    }
  }

  /**
   * Takes all room but that of some blocks of 4 KiB.
   *
   * @param options.names no file can be made either, also an empty one
   */
  fill({ but = 0, names = false }: { but?: number; names?: boolean } = {}): void {
    const spare = Array.from({ length: but }, (_, index) => this.#filler(`spare-${index}`, 1))
    this.#filler('blocks', Number.POSITIVE_INFINITY)
    if (names) while (this.#filler(`name-${this.#fillers.length}`, 0) !== undefined);
    for (const path of spare) rmSync(path ?? '')
  }

  /** Gives back all room that `fill` took. */
  free(): void {
    for (const path of this.#fillers.splice(0)) rmSync(path, { force: true })
  }

  /** `undefined`: there is no room for another file. */
  #filler(name: string, blocks: number): string | undefined {
    const path = join(this.path, `filler-${name}`)
    try {
      const file = openSync(path, 'wx')
      this.#fillers.push(path)
      try {
        const block = Buffer.alloc(pageBytes)
        for (let written = 0; written < blocks; written++) writeSync(file, block)
      } finally {
        closeSync(file)
      }
    } catch (error) {
      assert.equal(errorCode(error), 'ENOSPC')
      return undefined
    }
    return path
  }
}

/** The reason why nothing can be mounted; `undefined`: it can. */
function mountFault(prefix: readonly string[] = []): string | undefined {
  if (process.platform !== 'linux') return 'tmpfs is a filesystem of Linux'
  const path = mkdtempSync(join(tmpdir(), 'ptq-mount-'))
  const [command = '', ...args] = [...prefix, 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path]
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  // A namespace takes its mounts with it.
  if (status === 0 && prefix.length === 0) execFileSync('umount', [path])
  rmdirSync(path)
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}

/** Calls `define`, whose tests use small disks, where they can be mounted. Otherwise one test is skipped, with the reason. */
export function onSmallDisks(file: string, define: () => void): void {
  const fault = mountFault()
  if (fault === undefined) {
    define()
    return
  }
  const namespaceFault = process.env[namespaced] === undefined ? mountFault(unshare) : 'in a user namespace already'
  test(`${basename(file)} in a user namespace`, async t => {
    if (namespaceFault !== undefined) {
      t.skip(`NOT tested on a full disk: no mount (${fault}), and none in a user namespace (${namespaceFault})`)
      return
    }
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const [command, ...args] = [...unshare, process.execPath, file]
    const child = spawn(command, args, { env: { ...env, [namespaced]: '1' }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    const code = await new Promise(resolve => child.once('close', resolve))
    assert.equal(code, 0, output)
  })
}
