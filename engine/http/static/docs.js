"use strict";

// Lines of JSON are shown as they are sent, and not as one text in quotes.
const LinesAsTheyAre = () => ({
  afterLoad() {
    const sample = this.fn.getSampleSchema;
    this.fn.getSampleSchema = (schema, type, config, example) =>
      type === "application/x-ndjson" && typeof example === "string" ? example : sample(schema, type, config, example);
  },
});

// Nothing is asked of other machines: no validator, and the document is this server's own.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#calls",
  plugins: [LinesAsTheyAre],
  deepLinking: true,
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  tryItOutEnabled: true,
});
