import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { inFolder } from '../fq/folder.js'

const CASE = join(import.meta.dirname, '../../bench/uploads/upload.js')

/** Fills a queue in one way; the bench case throws unless each of the tasks 0 to n - 1 was inserted once. */
async function fill(queue: string, way: number, folder: string): Promise<{ tasks: number; firstMs: number }> {
  const dir = join(folder, `${queue}-${way}`)
  await mkdir(dir)
  const parameters = { n: 60, dir, settings: { way, queue } }
  const { stdout } = await promisify(execFile)(process.execPath, [CASE, JSON.stringify(parameters)])
  return JSON.parse(stdout)
}

describe('the seven ways to fill a queue', () => {
  for (const queue of ['fq', 'sqs']) {
    it(`insert the same tasks into ${queue}`, () =>
      inFolder(async folder => {
        for (const ways of [[1, 2], [3, 4], [5, 6], [7]]) {
          for (const { tasks, firstMs } of await Promise.all(ways.map(way => fill(queue, way, folder)))) {
            assert.equal(tasks, 60)
            assert.ok(firstMs > 0)
          }
        }
        await assert.rejects(fill(queue, 8, folder), /Expected one of 7 ways/)
      }))
  }
})
