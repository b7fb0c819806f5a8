//! The payload schemas of the object service.

use crate::schema::{Field, Rule, Schema};

const HASHES: &[Field] = &[
    Field::optional("sha256", Rule::Hex(64)),
    Field::optional("sha512", Rule::Hex(128)),
];

pub(super) const CREATE_UPLOAD: Schema = Schema {
    name: "object/v1/create-upload-request.json",
    fields: &[
        Field::required("projectId", Rule::Text(500)),
        Field::required("uploadId", Rule::Slugid),
        Field::required("expires", Rule::Timestamp),
        Field::optional("hashes", Rule::Fields(HASHES)),
        Field::required("proposedUploadMethods", Rule::Fields(UPLOAD_METHODS)),
    ],
};

const UPLOAD_METHODS: &[Field] = &[
    Field::optional(
        "dataInline",
        Rule::Fields(&[
            Field::required("contentType", Rule::Text(255)),
            Field::required("objectData", Rule::Text(10_926)),
        ]),
    ),
    Field::optional(
        "putUrl",
        Rule::Fields(&[
            Field::required("contentType", Rule::Text(255)),
            Field::required("contentLength", Rule::Integer(0, i64::MAX)),
        ]),
    ),
];

pub(super) const FINISH_UPLOAD: Schema = Schema {
    name: "object/v1/finish-upload-request.json",
    fields: &[
        Field::required("projectId", Rule::Text(500)),
        Field::required("uploadId", Rule::Slugid),
        Field::optional("hashes", Rule::Fields(HASHES)),
    ],
};

pub(super) const START_DOWNLOAD: Schema = Schema {
    name: "object/v1/download-object-request.json",
    fields: &[Field::required(
        "acceptDownloadMethods",
        Rule::Fields(DOWNLOAD_METHODS),
    )],
};

const DOWNLOAD_METHODS: &[Field] = &[
    Field::optional("simple", Rule::Boolean),
    Field::optional("getUrl", Rule::Boolean),
];
