// Refuses to publish what the changelog still calls pending, or what says no source for its provenance.
import { readFileSync } from 'node:fs'

const { version, repository } = JSON.parse(readFileSync('package.json', 'utf8'))
const changelog = readFileSync('CHANGELOG.md', 'utf8')
const [, newest, note] = /^## (\S+)(.*)$/m.exec(changelog) ?? []

const faults = []
if (newest !== version) {
  faults.push(`Expected the newest entry of CHANGELOG.md to be that of version ${version}, got ${newest ?? 'none'}`)
}
if (/pending/i.test(note ?? '')) faults.push(`Expected a date beside ${newest} in CHANGELOG.md, got "${note?.trim()}"`)
if (repository === undefined) {
  faults.push(
    'Expected `repository` in package.json: npm compares it with where the provenance says the package was built',
  )
}
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1
