import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inFolder, payloadLines, projectRoot, runProcess } from './run-cli.js'

test('NODE_DEBUG=ptq logs calls of the queue, the filesystem and threads to stderr, and each command works as without it', () =>
  inFolder(async folder => {
    const env = { NODE_DEBUG: 'ptq' }
    const index = join(projectRoot, 'dist/src/index.js')
    writeFileSync(
      join(folder, 'tasks.mjs'),
      `import { queueable } from ${JSON.stringify(index)}; queueable(function mark() {}, { module: 'tasks' })`,
    )
    const run = async (words: string, input = '') => {
      const { code, stderr } = await runProcess(words.split(' '), { cwd: folder, env, input })
      assert.equal(code, 0, stderr)
      return stderr
    }
    const inserted = await run('insert first -', payloadLines(3))
    assert.match(inserted, /^PTQ \d+: \S+\/first: opened$/m)
    assert.match(inserted, /^PTQ \d+: \S+\/first: on a local filesystem$/m)
    assert.match(inserted, /^PTQ \d+: \S+\/first: insert 3: 0, [\d.]+ ms$/m)
    await run('mv first second')
    const polled = await run('poll second --load ./tasks.mjs --parallel 1 --until-empty')
    assert.match(polled, /^PTQ \d+: \S+\/second: lease [^:]*seconds=600[^:]*: [1-3], [\d.]+ ms$/m)
    assert.match(polled, /^PTQ \d+: \S+\/second: delete [1-3]: 0, [\d.]+ ms$/m)
    assert.match(polled, /^PTQ \d+: thread \d+: started, 1 in this pool$/m)
    assert.match(await run('status second'), /^PTQ \d+: \S+\/second: counts -: enqueued=0 /m)
  }))
