// Every TypeScript block of the README and of docs/ compiles against the built package. A block that begins with
// `// name.ts`, or that is a file of examples/, has that name, so that blocks of a page can import each other.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')

test('the code of README and docs compiles', () => {
  // Inside the project, so that `ptq` means the package itself.
  const folder = join(root, 'build/docs-blocks')
  rmSync(folder, { recursive: true, force: true })
  const pages = ['README.md', ...readdirSync(join(root, 'docs')).map(name => `docs/${name}`)]
  let blocks = 0
  for (const page of pages.filter(name => name.endsWith('.md'))) {
    const pageFolder = join(folder, basename(page, '.md'))
    mkdirSync(pageFolder, { recursive: true })
    const text = readFileSync(join(root, page), 'utf8')
    for (const [index, match] of [...text.matchAll(/^```ts\n(.*?)^```/gms)].entries()) {
      const code = match[1] ?? ''
      const name = /^\/\/ ([\w-]+\.ts)\n/.exec(code)?.[1] ?? exampleOf(code) ?? `block-${index + 1}.ts`
      writeFileSync(join(pageFolder, name), `${code}\nexport {}\n`)
      blocks++
    }
  }
  assert.ok(blocks > 5, `${blocks} blocks were found`)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { rootDir: '.', noEmit: true, composite: false, declaration: false, noUnusedLocals: false },
      include: ['.'],
    }),
  )
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

function exampleOf(code: string): string | undefined {
  const folder = join(root, 'examples')
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
  const found = names.find(name => readFileSync(join(folder, name), 'utf8') === code)
  return found === undefined ? undefined : basename(found)
}

test('every link between pages has a target', () => {
  const pages = [
    'README.md',
    'CHANGELOG.md',
    'SECURITY.md',
    ...readdirSync(join(root, 'docs')).map(name => `docs/${name}`),
  ]
  let links = 0
  for (const page of pages.filter(name => name.endsWith('.md'))) {
    for (const [, target = ''] of withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      assert.ok(existsSync(join(root, file)), `${page}: ${target}`)
      if (anchor !== undefined) assert.ok(anchorsOf(file).includes(anchor), `${page}: ${target}`)
      links++
    }
  }
  assert.ok(links > 10, `${links} links were found`)
})

function withoutCode(page: string): string {
  return readFileSync(join(root, page), 'utf8').replace(/^```.*?^```/gms, '')
}

/** The anchors of headings, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  return [...withoutCode(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
