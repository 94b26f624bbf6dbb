/** Moves of the tests, and filesystems on which they fail. */
import assert from 'node:assert/strict'
import type { Backend } from '#ptq/backend/backend.js'
import type { FileCalls } from '#ptq/backends/fq/file-system.js'
import { interfered, systemError } from './test-files.js'

const CHANGES = new Set<keyof FileCalls>(['rename', 'unlink', 'write', 'makeFolder', 'removeFolder'])

/** Refuses renames between `here` and `there`, as between two filesystems. */
export function refuseAcross(folder: string) {
  const sideOf = (path: string) => path.slice(folder.length + 1).split('/')[0]
  return (call: keyof FileCalls, path: string, to: string) => {
    if (call === 'rename' && sideOf(path) !== sideOf(to)) throw systemError('EXDEV', path)
  }
}

/** A filesystem that fails from its n-th change on, as for a process that dies there. */
export function dying(before: number, also: (call: keyof FileCalls, path: string, to: string) => void) {
  const life = { changes: 0, dead: false }
  const check = (call: keyof FileCalls, path: string, to: string) => {
    if (CHANGES.has(call) && ++life.changes > before) life.dead = true
    if (life.dead) throw systemError('EIO', path)
    also(call, path, to)
  }
  const pooled = async (call: keyof FileCalls, path: string, to: string) => check(call, path, to)
  return { life, fileSystem: interfered({ blocking: check, pooled }) }
}

/** A filesystem that refuses them. */
export function crossing(folder: string) {
  const check = refuseAcross(folder)
  return interfered({
    blocking: check,
    pooled: async (call: keyof FileCalls, path: string, to: string) => check(call, path, to),
  })
}

/** Moves all that is free; resolves with their number. */
export async function moveAll(from: Backend, to: Backend): Promise<number> {
  const moving = from.moveTo?.(to, { signal: new AbortController().signal })
  assert.ok(moving)
  let moved = 0
  for await (const some of moving) moved += some
  return moved
}
