// The README's example is a program: the text there is the files', and they run.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')

function codeBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```ts\n(.*?)^```/gms)].map(match => match[1] ?? '')
}

test('the code blocks of the README are the files of examples/readme', () => {
  const [tasks, main] = codeBlocks(readFileSync(join(root, 'README.md'), 'utf8'))
  for (const [name, block] of [
    ['tasks.ts', tasks],
    ['main.ts', main],
  ] as const) {
    assert.equal(block, `// ${name}\n${readFileSync(join(root, 'examples/readme', name), 'utf8')}`)
  }
})

test('the example runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-readme-'))
  cpSync(join(root, 'docs'), join(folder, 'docs'), { recursive: true })
  const main = join(root, 'build/examples/readme/main.js')
  const output = execFileSync(process.execPath, [main], { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  const lines = output.trim().split('\n')
  const done = lines.at(-1)
  assert.equal(done, `${lines.length - 1} tasks done`)
  assert.ok(
    lines.slice(0, -1).every(line => /^docs\/\S+\.md \d+$/.test(line)),
    output,
  )
  rmSync(folder, { recursive: true })
})
