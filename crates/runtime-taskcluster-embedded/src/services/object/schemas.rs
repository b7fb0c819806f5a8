//! The payload schemas of the object service.

use crate::schema::{Field, Schema, ValueType};

const HASHES: &[Field] = &[
    Field::optional("sha256", ValueType::Hex(64)),
    Field::optional("sha512", ValueType::Hex(128)),
];

pub(super) const CREATE_UPLOAD: Schema = Schema {
    name: "object/v1/create-upload-request.json",
    fields: &[
        Field::required("projectId", ValueType::Text(500)),
        Field::required("uploadId", ValueType::Slugid),
        Field::required("expires", ValueType::Timestamp),
        Field::optional("hashes", ValueType::Fields(HASHES)),
        Field::required("proposedUploadMethods", ValueType::Fields(UPLOAD_METHODS)),
    ],
};

const UPLOAD_METHODS: &[Field] = &[
    Field::optional(
        "dataInline",
        ValueType::Fields(&[
            Field::required("contentType", ValueType::Text(255)),
            Field::required("objectData", ValueType::Text(10_926)),
        ]),
    ),
    Field::optional(
        "putUrl",
        ValueType::Fields(&[
            Field::required("contentType", ValueType::Text(255)),
            Field::required("contentLength", ValueType::Integer(0, i64::MAX)),
        ]),
    ),
];

pub(super) const FINISH_UPLOAD: Schema = Schema {
    name: "object/v1/finish-upload-request.json",
    fields: &[
        Field::required("projectId", ValueType::Text(500)),
        Field::required("uploadId", ValueType::Slugid),
        Field::optional("hashes", ValueType::Fields(HASHES)),
    ],
};

pub(super) const START_DOWNLOAD: Schema = Schema {
    name: "object/v1/download-object-request.json",
    fields: &[Field::required(
        "acceptDownloadMethods",
        ValueType::Fields(DOWNLOAD_METHODS),
    )],
};

const DOWNLOAD_METHODS: &[Field] = &[
    Field::optional("simple", ValueType::Boolean),
    Field::optional("getUrl", ValueType::Boolean),
];
