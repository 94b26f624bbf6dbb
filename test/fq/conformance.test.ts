import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { testBackend } from 'ptq/testing'
import { opener } from '#ptq/backends/fq/index.js'

const folder = mkdtempSync(join(tmpdir(), 'ptq-fq-conformance-'))

testBackend({
  name: 'fq',
  async open(queue) {
    const path = join(folder, queue)
    // Reading a queue creates nothing; the first insert creates this folder.
    await mkdir(join(path, 'queue'), { recursive: true })
    return opener.open({ protocol: 'fq', path }, {})
  },
  remove: queue => rm(join(folder, queue), { recursive: true }),
})

// Kept where a case failed: the queue of that case is still in it.
after(() => {
  if (process.exitCode === undefined) rmSync(folder, { recursive: true })
})
