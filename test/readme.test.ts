import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')

test('the code blocks of the README are the files of examples/readme', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(match => match[1] ?? '')
  for (const [index, name] of ['tasks.ts', 'main.ts', 'insert.ts'].entries()) {
    assert.equal(blocks[index], `// ${name}\n${readFileSync(join(root, 'examples/readme', name), 'utf8')}`)
  }
  const lines = blocks.slice(0, 2).join('').split('\n').filter(Boolean)
  assert.ok(lines.length < 20, `${lines.length} lines are no short example`)
})
