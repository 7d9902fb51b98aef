// Builds the SDK into one module and one declaration file, and end-to-end encryption into another one beside it, and copies
// the first to where the server embeds it.
// With --check nothing is written: it fails when what is committed differs from what would be built.
import { mkdtemp, readFile, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const repository = join(root, '..', '..');
const src = join(root, 'src');

const js = await bundle('index');
const outputs = new Map([
  [join(root, 'dist', 'hocket.js'), js],
  [join(root, 'dist', 'hocket.d.ts'), await declarations('index')],
  [join(root, 'dist', 'e2e.js'), await bundle('e2e')],
  [join(root, 'dist', 'e2e.d.ts'), await declarations('e2e')],
  [join(repository, 'internal', 'playground', 'static', 'hocket.js'), js],
]);

let stale = 0;
for (const [path, want] of outputs) {
  const have = await readFile(path, 'utf8').catch(() => undefined);
  const name = relative(repository, path);
  if (process.argv.includes('--check')) {
    if (have === want) continue;
    console.error(`${name} is not what sdk/js/src gives: run "npm run build" in sdk/js`);
    stale++;
  } else {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, want);
    console.log(`${name} ${want.length} bytes`);
  }
}
process.exit(stale === 0 ? 0 : 1);

/** All modules in one, readable: whoever looks into the page's sources should understand what runs there. */
async function bundle(entry) {
  const result = await build({
    root,
    configFile: false,
    logLevel: 'warn',
    build: {
      lib: { entry: join(src, `${entry}.ts`), formats: ['es'], fileName: entry },
      // Another entry imports the first one, so that there is one HocketError.
      ...(entry !== 'index' && { rolldownOptions: { external: [/index\.ts$/], output: { paths: () => './hocket.js' } } }),
      target: 'es2022',
      minify: false,
      write: false,
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  // The bundler marks each module's place in comments that carry no meaning for a reader.
  const code = output.output[0].code.replace(/^\/\/#(region|endregion).*\n?/gm, '');
  return `// Hocket SDK ${version}. Apache-2.0. Code generated from sdk/js/src by npm run build; DO NOT EDIT.\n${code.trimEnd()}\n`;
}

/** The declarations of all modules in one file: each module's own, in the order of their imports, without the imports. */
async function declarations(entry) {
  const out = await mkdtemp(join(tmpdir(), 'hocket-dts-'));
  try {
    const config = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.json'), {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic() {} });
    const options = { ...config.options, noEmit: false, declaration: true, emitDeclarationOnly: true, stripInternal: true, outDir: out, rootDir: src };
    const program = ts.createProgram([join(src, `${entry}.ts`)], options);
    const result = program.emit();
    const problems = [...ts.getPreEmitDiagnostics(program), ...result.diagnostics];
    if (problems.length > 0) throw new Error(ts.formatDiagnostics(problems, { getCanonicalFileName: (f) => f, getCurrentDirectory: () => root, getNewLine: () => '\n' }));
    const parts = [];
    await collect(join(out, `${entry}.d.ts`), new Set(), parts, entry);
    return parts.join('\n');
  } finally {
    await rm(out, { recursive: true });
  }
}

async function collect(path, seen, parts, entry) {
  if (seen.has(path)) return;
  seen.add(path);
  const file = ts.createSourceFile(path, await readFile(path, 'utf8'), ts.ScriptTarget.ES2022, true);
  let text = '';
  const names = [];
  for (const statement of file.statements) {
    const from = statement.moduleSpecifier?.text;
    if (from === './index.ts') {
      text += `${statement.getFullText().trim().replace(from, './hocket.js')}\n`;
      continue;
    }
    if (from !== undefined) {
      await collect(join(dirname(path), from.replace(/\.ts$/, '.d.ts')), seen, parts, entry);
      if (ts.isExportDeclaration(statement)) names.push(...statement.exportClause.elements.map((e) => e.name.text));
      continue;
    }
    const own = statement.getFullText().trim();
    // What is exported from a module is not yet exported from the package.
    if (path.endsWith(`${entry}.d.ts`) && /^export (?!\{)/m.test(own)) names.push(statement.name.text);
    if (own !== 'export {};') text += `${own.replace(/^export (?=declare|interface|type|class)/m, '').replace(/^(?=interface|type |class )/m, 'declare ')}\n`;
  }
  if (path.endsWith(`${entry}.d.ts`)) text += `export { ${names.sort().join(', ')} };\n`;
  if (text !== '') parts.push(text);
}
