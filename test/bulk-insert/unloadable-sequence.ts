// A sequence whose file can't be imported by threads: the first time, or never.
import { existsSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { sliceable } from 'ptq'
import { Numbers } from './sequences.js'

/** Set by the test: a file that is there once an import has failed; `always`: each import fails. */
const { PTQ_TEST_UNLOADABLE: failed } = process.env

if (!isMainThread && failed !== undefined && !existsSync(failed)) {
  if (failed !== 'always') writeFileSync(failed, '')
  throw new RangeError('missing for a moment')
}

export class Unloadable extends Numbers {
  override slice(start: number, end: number): Unloadable {
    return Object.assign(Object.create(Unloadable.prototype) as Unloadable, {
      start: this.start + start,
      end: this.start + end,
    })
  }
}
sliceable(Unloadable)
