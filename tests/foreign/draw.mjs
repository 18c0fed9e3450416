// Print every MJML document in the packages installed beside this file, as the reference renderer draws it:
// [{name, mjml, html}].
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import mjml2html from "mjml";

globalThis.window = globalThis; // what follows was written for browsers
const { default: covalent } = await import("@covalent/email-templates");

const documents = covalent
  .getEmailTemplates()
  .map(({ name, content }) => ({ name: `@covalent/email-templates: ${name}`, mjml: content }));
for (const part of readdirSync("node_modules").filter((name) => name.startsWith("mjml-"))) {
  let readme;
  try {
    readme = readFileSync(`node_modules/${part}/README.md`, "utf8");
  } catch {
    continue;
  }
  const examples = [...readme.matchAll(/```(?:xml|html)\s*\n(.*?)```/gs)].map((match) => match[1]);
  for (const mjml of examples.filter((text) => text.includes("<mjml") && text.includes("<mj-body"))) {
    const name = `${part}: ${documents.filter((known) => known.name.startsWith(`${part}:`)).length + 1}`;
    documents.push({ name, mjml });
  }
}
for (const each of documents) {
  const drawn = await mjml2html(each.mjml, { validationLevel: "skip", keepComments: true });
  each.html = drawn.html;
}
writeFileSync(process.argv[2], JSON.stringify(documents));
